-- 12. Since people are known who can agree, each new key is what an executed action says, and each such action made one.
-- A minute of grace: the clock may have stepped back before the first people were known.
select k.kid as id, 'it is not what people agreed to in an executed action' as what
  from keys k
  left join actions a on a.id = k.agreed_in
 where case when k.agreed_in is null
            then k.created_at > (select min(answered_at) + interval '1 minute'
                                   from messages where type = 'SyncDirectory' and outcome = 'applied')
            else (a.status, a.params ->> 'kid', decode(translate(a.params ->> 'public_key', '-_', '+/') || '=', 'base64'))
                 is distinct from ('executed', k.kid, k.public_key)
                 or case a.action_type
                    when 'REGISTER_KEY' then (a.params ->> 'issuer', a.params -> 'scope') is distinct from (k.issuer, k.scope)
                    when 'ENROL_KEY' then a.params ->> 'person_id' is distinct from k.person_id
                    else true
                    end
       end
union all
select a.id::text, 'it was executed and registered no key'
  from actions a
 where a.action_type in ('REGISTER_KEY', 'ENROL_KEY') and a.status = 'executed'
   and not exists (select from keys k where k.agreed_in = a.id)
