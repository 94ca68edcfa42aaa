-- Accounts of reextract_{modality} with more kept contents than features_{modality} has of their encoder, together with
-- those that an extraction under that encoder has refused since.
SELECT *
FROM (
    SELECT
        date,
        step,
        kept,
        (
            SELECT count(*) FROM features_{modality} f
            WHERE f.encoder = coalesce(l.encoder, f.encoder)
        ) + (
            SELECT count(DISTINCT record_id) FROM quarantine q
            WHERE split_part(q.stage, '.', 1) = 'extract_{modality}' AND starts_with(q.detail, l.encoder)
        ) AS found
    FROM ledger l
    WHERE split_part(step, '.', 1) = 'reextract_{modality}'
)
WHERE kept > found
