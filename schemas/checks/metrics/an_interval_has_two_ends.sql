-- Figures whose interval lacks an end, has one that is no number, or has its ends the wrong way round.
SELECT *
FROM metrics
WHERE (low IS NULL) != (high IS NULL)
    OR NOT isfinite(low)
    OR NOT isfinite(high)
    OR low > high
