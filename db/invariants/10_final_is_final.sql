-- 10. After what ends an action nothing happens to it.
select e.action_id::text as id, format('after %s came %s', e.event, later.event) as what
  from events e
  join events later on later.action_id = e.action_id and later.seq = e.seq + 1
 where e.event in ('executed', 'rejected', 'expired', 'cancelled')
