-- Accounts of clean_interactions whose kept rows are not the night's rows of interactions.
WITH counted AS (
    SELECT date, count(*) AS found FROM interactions GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'clean_interactions' AND kept != coalesce(counted.found, 0)
