-- Texts that users wrote and that are neither in features_text nor in quarantine, though their night extracted.
SELECT date, user_id, item_id
FROM interactions
WHERE text_key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE step = 'extract_text')
    AND text_key NOT IN (SELECT content_key FROM features_text)
    AND text_key NOT IN (
        SELECT record_id FROM quarantine WHERE stage = 'extract_text' AND record_id IS NOT NULL
    )
