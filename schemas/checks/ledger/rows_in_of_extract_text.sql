-- Accounts of extract_text whose rows in are not the different texts that the night's rows bring.
WITH contents AS (
    SELECT date, text_key AS key FROM items WHERE NOT deleted
    UNION ALL
    SELECT date, text_key FROM interactions
),
given AS (
    SELECT DISTINCT l.date, l.encoder, c.key
    FROM ledger l
    JOIN contents c ON c.date = l.date
    WHERE l.step = 'extract_text' AND c.key IS NOT NULL
),
counted AS (
    SELECT date, count(*) AS found FROM given GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'extract_text' AND rows_in != coalesce(counted.found, 0)
