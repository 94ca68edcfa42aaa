-- Recommendations that score more than the one above them on their shelf.
SELECT *
FROM (
    SELECT
        date, user_id, shelf, rank, score,
        lag(score) OVER (PARTITION BY date, user_id, shelf ORDER BY rank) AS above
    FROM recommendations
)
WHERE above < score
