-- Accounts of recommend whose kept rows are not the users with a recommendation on that night.
WITH counted AS (
    SELECT date, count(DISTINCT user_id) AS found FROM recommendations GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'recommend' AND kept != coalesce(counted.found, 0)
