-- Accounts of {step} whose rows in are not the different contents that it was given: those of its own night, or for a
-- re-extraction of all nights until then. A night before it that is made late, or made again, changes what is known.
WITH contents AS (
{contents}),
given AS (
    SELECT DISTINCT l.date, l.encoder, c.key
    FROM ledger l
    JOIN contents c ON c.date {nights} l.date
    WHERE l.step = '{step}' AND c.key IS NOT NULL
),
counted AS (
    SELECT date, count(*) AS found FROM given GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = '{step}' AND rows_in != coalesce(counted.found, 0)
