-- 7. A vote was cast before its message was issued, counted before that expired, and before the deadline and the decision.
-- Before is what the trail tells before, as the clock may have stepped back since. The deadline is the first one, or that of the
-- last escalation before the vote.
select a.id::text as id, format('the vote of %s was not in time', v.person_id) as what
  from votes v
  join actions a on a.id = v.action_id
  join messages m on (m.issuer, m.jti, m.action_id) = (v.issuer, v.jti, v.action_id) and m.outcome = 'applied'
  left join events told on told.action_id = a.id and told.event = 'voted' and told.actor = v.person_id
                       and (told.data ->> 'issuer', told.data ->> 'jti') = (v.issuer, v.jti)
 where told.seq is null
    or v.cast_at > m.issued_at
    or m.issued_at > greatest(v.recorded_at, m.received_at) + interval '30 seconds'
    or v.recorded_at >= m.expires_at
    or (select e.event from events e
         where e.action_id = a.id and e.event in ('approved', 'rejected', 'reopened') and e.seq < told.seq
         order by e.seq desc limit 1) in ('approved', 'rejected')
    or v.recorded_at >= coalesce(
           (select (e.data ->> 'deadline')::timestamptz from events e
             where e.action_id = a.id and e.event = 'escalated' and e.seq < told.seq order by e.seq desc limit 1),
           a.created_at + make_interval(secs => a.timeout_seconds))
