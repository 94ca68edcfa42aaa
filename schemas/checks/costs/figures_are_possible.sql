-- Times, bytes or memory below 0, or no numbers.
SELECT *
FROM costs
WHERE wall_s < 0
    OR cpu_s < 0
    OR gpu_s < 0
    OR peak_memory_bytes < 0
    OR bytes_read < 0
    OR bytes_written < 0
    OR NOT isfinite(wall_s + cpu_s + coalesce(gpu_s, 0))
