-- 5. A received message has one row: its content has one, and so has the identity that it took.
select encode(content_sha256, 'hex') as id, format('%s rows have this content', count(*)) as what
  from messages group by content_sha256 having count(*) > 1
union all
select jti, format('%s rows of issuer %s have this jti', count(*), issuer)
  from messages
 where issuer is not null and (code is null or code not in ('identity_conflict', 'wrong_audience'))
 group by issuer, jti having count(*) > 1
union all
select encode(content_sha256, 'hex'), 'the token that is kept is another one'
  from messages where content_sha256 <> sha256(convert_to(token, 'UTF8'))
