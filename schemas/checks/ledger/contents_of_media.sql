    SELECT date, unnest({modality}_keys) AS key FROM items WHERE NOT deleted
