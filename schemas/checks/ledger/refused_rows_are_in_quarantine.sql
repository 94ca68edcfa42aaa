-- Accounts whose refused rows are not the rows that quarantine has of that step and night.
SELECT l.date, l.step, l.refused, count(q.date) AS found
FROM ledger l
LEFT JOIN quarantine q ON q.date = l.date AND q.stage = l.step
GROUP BY ALL
HAVING count(q.date) != l.refused
