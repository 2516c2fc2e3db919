-- 7. A vote was cast before its message was issued, counted before that expired, and before the deadline and the decision.
-- The deadline is read from the trail: the first one, or that of the last escalation before the vote.
select a.id::text as id, format('the vote of %s was not in time', v.person_id) as what
  from votes v
  join actions a on a.id = v.action_id
  join messages m on (m.issuer, m.jti, m.action_id) = (v.issuer, v.jti, v.action_id) and m.outcome = 'applied'
 where v.cast_at > m.issued_at
    or m.issued_at > v.recorded_at + interval '30 seconds'
    or v.recorded_at >= m.expires_at
    or v.recorded_at > a.decided_at
    or v.recorded_at >= coalesce(
           (select (e.data ->> 'deadline')::timestamptz from events e
             where e.action_id = a.id and e.event = 'escalated' and e.at <= v.recorded_at order by e.seq desc limit 1),
           a.created_at + make_interval(secs => a.timeout_seconds))
