-- Recommendations whose score is NaN or infinite.
SELECT *
FROM recommendations
WHERE NOT isfinite(score)
