-- Accounts of a step that does not exist; a further encoder's step has its fingerprint after a dot.
SELECT date, step
FROM ledger
WHERE split_part(step, '.', 1) NOT IN (
    'clean_items', 'clean_interactions', 'clean_media', 'recommend',
    'clean_vectors_text', 'clean_vectors_image', 'clean_vectors_audio', 'clean_vectors_video',
    'extract_text', 'extract_image', 'extract_audio', 'extract_video',
    'reextract_text', 'reextract_image', 'reextract_audio', 'reextract_video'
)
