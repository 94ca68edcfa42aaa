-- Accounts of recommend whose rows in are not the users with a vector on that night.
WITH counted AS (
    SELECT date, count(*) AS found FROM user_embeddings GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'recommend' AND rows_in != coalesce(counted.found, 0)
