-- Accounts of {step} with the different contents that each was given: those of its own night, or for a re-extraction of
-- all nights until then.
accounts AS (
    SELECT * FROM ledger WHERE split_part(step, '.', 1) = '{step}' AND {encoders}
),
contents AS (
{contents}),
given AS (
    SELECT DISTINCT a.date, a.step, a.encoder, c.content_key
    FROM accounts a
    JOIN contents c ON c.date {nights} a.date
    WHERE c.content_key IS NOT NULL
),
