-- Recommendations whose probability is none.
SELECT *
FROM recommendations
WHERE isnan(probability) OR probability < 0 OR probability > 1
