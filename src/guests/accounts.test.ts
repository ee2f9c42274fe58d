import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../testing/fails-with.ts'
import {
  gidOf,
  isLocked,
  parseGroup,
  parsePasswd,
  parseShadow,
  refuseAccountName,
  uidOf,
} from './accounts.ts'

const field = fc.stringMatching(/^[^:\n,]*$/)
const name = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,30}$/)
const id = fc.nat(2 ** 32 - 2)

describe('accounts', () => {
  it('are read as they were written', () => {
    const user = fc.record(
      { name, uid: id, gid: id, comment: field, home: field, shell: field },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(user), (users) => {
        const lines = users.map((one) =>
          [one.name, 'x', one.uid, one.gid, one.comment, one.home, one.shell].join(':'),
        )
        assert.deepEqual(parsePasswd(`${lines.join('\n')}\n`), users)
      }),
    )
    const group = fc.record({ name, gid: id, members: fc.array(name) }, { noNullPrototype: true })
    fc.assert(
      fc.property(fc.array(group), (groups) => {
        const lines = groups.map((one) => [one.name, 'x', one.gid, one.members.join(',')].join(':'))
        assert.deepEqual(parseGroup(lines.join('\n')), groups)
      }),
    )
  })

  it('of any text are only those that are whole', () => {
    assert.deepEqual(parsePasswd('\n#comment\nroot:x:0\nbad:x:a:0::/:/bin/sh\n+nis::::::\n'), [])
    assert.deepEqual(parseGroup('root:x\nbad:x:-1:\n'), [])
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { uid, gid } of parsePasswd(text))
          assert.ok(Number.isSafeInteger(uid) && Number.isSafeInteger(gid))
        void parseGroup(text)
        void parseShadow(text)
      }),
    )
  })

  it('are found by name or number', () => {
    const accounts = {
      users: parsePasswd('web:x:33:34::/:/bin/sh\n'),
      groups: parseGroup('web:x:34:\n'),
    }
    assert.equal(uidOf(accounts, 'web'), 33)
    assert.equal(uidOf(accounts, '1000'), 1000)
    assert.equal(gidOf(accounts, 'web'), 34)
    assert.throws(() => uidOf(accounts, 'nobody'), failsWith('STEP_FAILED'))
    assert.throws(() => gidOf(accounts, '-1'), failsWith('STEP_FAILED'))
  })

  it('are locked when no password opens them', () => {
    const passwords = parseShadow('a:!:1::::::\nb:*:1::::::\nc:!$6$x$y:1::::::\nd:$6$x$y:1::::::\n')
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'none'].map((one) => isLocked(passwords.get(one))),
      [true, true, true, false, true],
    )
  })

  it('have no names that a program could take for something else', () => {
    for (const bad of [
      '-x; rm',
      '-x',
      '',
      'a b',
      'a:b',
      'a\nb',
      '$(id)',
      '0day',
      'a'.repeat(33),
      '../x',
    ])
      assert.notEqual(refuseAccountName(bad), undefined, bad)
    for (const good of ['root', '_apt', 'systemd-network', 'www.data', 'HOST$'])
      assert.equal(refuseAccountName(good), undefined, good)
  })
})
