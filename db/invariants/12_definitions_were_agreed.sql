-- 12. Since people are known who can agree, each version of a definition is what an executed action says, and each such action made one.
-- A minute of grace: the clock may have stepped back before the first people were known.
select format('%s %s', d.kind, d.name) as id,
       format('version %s, by %s, is not what people agreed to in an executed action', d.version, d.created_by) as what
  from definitions d
  left join actions a on a.id = d.agreed_in
 where case when d.agreed_in is null
            then d.created_at > (select min(answered_at) + interval '1 minute'
                                   from messages where type = 'SyncDirectory' and outcome = 'applied')
            else (a.action_type, a.status, a.params ->> 'kind', a.params ->> 'name',
                  (a.params ->> 'replaces')::integer + 1, a.created_by)
                 is distinct from ('CHANGE_DEFINITION', 'executed', d.kind, d.name, d.version, d.created_by)
                 or nullif(a.params -> 'definition', 'null') is distinct from d.body
       end
union all
select a.id::text, 'it was executed and made no version of a definition'
  from actions a
 where a.action_type = 'CHANGE_DEFINITION' and a.status = 'executed'
   and not exists (select from definitions d where d.agreed_in = a.id)
