-- Contents that are neither in features_{modality} nor in quarantine, though their night's extraction was to read them.
SELECT *
FROM (
{contents})
WHERE content_key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE split_part(step, '.', 1) = 'extract_{modality}' AND {reads_them})
    AND content_key NOT IN (SELECT content_key FROM features_{modality})
    AND content_key NOT IN (
        SELECT record_id FROM quarantine WHERE split_part(stage, '.', 1) = 'extract_{modality}' AND record_id IS NOT NULL
    )
