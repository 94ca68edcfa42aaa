-- Accounts of {step} whose kept contents are not those that it was given and that features_{modality} has. It was given
-- those of its own night, or for a re-extraction of all nights until then.
--
-- A content that the step itself has refused does not count, though another night may have extracted it since. One that
-- an extraction under the same encoder has refused since has left the store and does count. An account without an
-- encoder is compared with the rows of all encoders.
WITH
{given_contents}counted AS (
    SELECT date, step, count(*) AS found
    FROM given g
    WHERE NOT EXISTS (
        SELECT 1 FROM quarantine q
        WHERE q.date = g.date AND q.stage = g.step AND q.record_id = g.content_key
    )
    AND (
        EXISTS (
            SELECT 1 FROM features_{modality} f
            WHERE f.content_key = g.content_key AND f.encoder = coalesce(g.encoder, f.encoder)
        )
        OR EXISTS (
            SELECT 1 FROM quarantine q
            WHERE split_part(q.stage, '.', 1) = 'extract_{modality}' AND q.record_id = g.content_key
                AND starts_with(q.detail, g.encoder)
        )
    )
    GROUP BY date, step
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM accounts
LEFT JOIN counted USING (date, step)
WHERE kept != coalesce(counted.found, 0)
