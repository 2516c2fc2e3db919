-- 10. After what ends an action nothing happens to it, but that others say whether it was right to approve it alone.
select e.action_id::text as id, format('after %s came %s', e.event, later.event) as what
  from events e
  join events later on later.action_id = e.action_id and later.seq > e.seq
 where e.event in ('executed', 'rejected', 'expired', 'cancelled')
   and later.event not in ('ratified', 'ratification_refused')
