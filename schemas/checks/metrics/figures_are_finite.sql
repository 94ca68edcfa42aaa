-- Figures that are NaN or infinite.
SELECT *
FROM metrics
WHERE NOT isfinite(value)
