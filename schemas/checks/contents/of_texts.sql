    SELECT date, item_id, 'text' AS modality, text_key AS content_key FROM items WHERE NOT deleted
