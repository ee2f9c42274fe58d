import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findEndpoints, toFenceResolver, toFenceRules } from './_fence-rules.ts'

test('what is named is found before what is private, with its port if that is known', () => {
  const allowed = [{ address: '10.1.2.3', port: 8080 }, { address: '127.0.0.1' }]
  const rules = toFenceRules(allowed, ['192.168.1.5'])
  assert.ok(rules.includes('rule add pref 100 to 10.1.2.3 ipproto tcp dport 8080 lookup 100'))
  assert.ok(rules.includes('rule add pref 100 to 127.0.0.1 ipproto tcp lookup 100'))
  for (const network of ['10.0.0.0/8', '169.254.0.0/16', '192.168.0.0/16', '192.168.1.5'])
    assert.ok(rules.includes(`rule add pref 300 to ${network} unreachable`), network)
})

test('the rule for local addresses comes after what is named, and is never missing', () => {
  const rules = toFenceRules([], [])
  const added = rules.indexOf('rule add pref 200 lookup local')
  assert.ok(added > 0 && added < rules.indexOf('rule del pref 0'))
})

test('places are addresses with ports, or hosts with all; public ones need no rule', async () => {
  const places = [
    'http://10.0.0.1/debian',
    'https://10.0.0.1',
    'http://user:word@127.0.0.1:3142/',
    '10.0.0.7',
    'http://1.1.1.1/',
    'http://8.8.4.4:8080/',
    'file:///srv/mirror',
    'cdrom:[Debian]/',
    'http://no-such-host.invalid/',
    'http://10.0.0.1/other',
  ]
  assert.deepEqual(await findEndpoints(places, ['8.8.4.4']), [
    { address: '10.0.0.1', port: 80 },
    { address: '10.0.0.1', port: 443 },
    { address: '127.0.0.1', port: 3142 },
    { address: '10.0.0.7' },
    { address: '8.8.4.4', port: 8080 }, // this host's own, where there is a mirror
  ])
})

test('guests ask one name server, and look for names where this host does', () => {
  const ours =
    '# by hand\nnameserver 10.0.0.53\nsearch corp.example\nnameserver ::1\noptions rotate\n'
  assert.equal(
    toFenceResolver(ours),
    'nameserver 198.18.0.3\nsearch corp.example\noptions rotate\n',
  )
  assert.equal(toFenceResolver(''), 'nameserver 198.18.0.3\n')
})
