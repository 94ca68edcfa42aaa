-- Accounts of {step} whose rows in are not the different contents that it was given: those of its own night, or for a
-- re-extraction of all nights until then. A night before it that is made late, or made again, changes what is known.
WITH
{given_contents}counted AS (
    SELECT date, step, count(*) AS found FROM given GROUP BY date, step
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM accounts
LEFT JOIN counted USING (date, step)
WHERE rows_in != coalesce(counted.found, 0)
