-- Accounts of clean_items whose kept rows are not the night's rows of items.
WITH counted AS (
    SELECT date, count(*) AS found FROM items GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'clean_items' AND kept != coalesce(counted.found, 0)
