    SELECT date, text_key AS key FROM items WHERE NOT deleted
    UNION ALL
    SELECT date, text_key FROM interactions
