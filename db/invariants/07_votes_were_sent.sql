-- 7. Each counted vote came in an applied message, signed with a key that was valid and may speak for the voter.
-- A minute of grace: what was revoked or had ended when a batch was opened is decided by the batch's own moment, and the clock
-- may have stepped back since a key became valid.
select v.action_id::text as id,
       case when m.id is null then format('the vote of %s has no applied message', v.person_id)
            when k.issuer <> v.issuer then format('the key of the vote of %s belongs to another issuer', v.person_id)
            when k.person_id <> v.person_id then format('the vote of %s came with a key of %s', v.person_id, k.person_id)
            else format('the key of the vote of %s was not valid', v.person_id) end as what
  from votes v
  join keys k on k.kid = v.kid
  left join messages m on (m.issuer, m.jti, m.kid, m.action_id) = (v.issuer, v.jti, v.kid, v.action_id)
                      and m.type = 'CastVote' and m.outcome = 'applied'
 where m.id is null
    or k.issuer <> v.issuer
    or k.person_id <> v.person_id
    or v.recorded_at < k.valid_from - interval '1 minute'
    or m.received_at > least(k.valid_until, k.revoked_at) + interval '1 minute'
