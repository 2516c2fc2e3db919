-- 11. An issuer's idempotency key has one action; the same key with another body is a conflict.
select min(id::text) as id, format('%s actions of %s have the key %s', count(*), issuer, idempotency_key) as what
  from actions where idempotency_key is not null group by issuer, idempotency_key having count(*) > 1
