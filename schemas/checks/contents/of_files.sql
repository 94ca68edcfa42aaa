    SELECT date, item_id, '{modality}' AS modality, unnest({modality}_keys) AS content_key FROM items WHERE NOT deleted
