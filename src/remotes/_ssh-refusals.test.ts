import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FailureCode } from '../base/failure.ts'
import { parseDestination } from './_ssh-destination.ts'
import { explainRefusal, type Refusal } from './_ssh-refusals.ts'

const explain = (said: string, parts: Partial<Refusal> = {}) =>
  explainRefusal({
    destination: parseDestination('joe@web-01:2222'),
    become: true,
    uid: undefined,
    identityFile: undefined,
    said,
    ...parts,
  })

describe('a host that refuses', () => {
  it('is told apart by what ssh says', () => {
    const cases: Record<string, [FailureCode, RegExp]> = {
      'ssh: connect to host web-01 port 2222: Connection refused\r\n': [
        'REMOTE_UNREACHABLE',
        /^joe@web-01:2222: connect to host web-01 port 2222: Connection refused$/,
      ],
      'ssh: Could not resolve hostname web-01: Name or service not known\n': [
        'REMOTE_UNREACHABLE',
        /Could not resolve/,
      ],
      'ssh: connect to host web-01 port 2222: No route to host': ['REMOTE_UNREACHABLE', /No route/],
      'Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out': [
        'REMOTE_UNREACHABLE',
        /timed out/,
      ],
      'kex_exchange_identification: read: Connection reset by peer': [
        'REMOTE_UNREACHABLE',
        /reset/,
      ],
      'joe@web-01: Permission denied (publickey,password).': [
        'REMOTE_DENIED',
        /no key was accepted for joe$/,
      ],
      'Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures': [
        'REMOTE_DENIED',
        /no key/,
      ],
      'No ED25519 host key is known for web-01 and you have requested strict checking.\nHost key verification failed.':
        ['REMOTE_UNTRUSTED', /not known here/],
      '@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\nHost key verification failed.': [
        'REMOTE_UNTRUSTED',
        /not the one it is known by/,
      ],
      'Your account has expired.': ['REMOTE_DENIED', /gave no shell: Your account has expired/],
      '': ['REMOTE_DENIED', /gave no shell: no reason given/],
    }
    for (const [said, [code, message]] of Object.entries(cases)) {
      const failure = explain(said)
      assert.equal(failure.code, code, said)
      assert.match(failure.message, message)
      assert.match(failure.fix ?? '', /ssh .*-p 2222 joe@web-01|ssh-add/)
    }
  })

  it('is told apart by what sudo says, of old and new', () => {
    const cases: Record<string, RegExp> = {
      'sudo: a password is required': /wants a password/,
      'sudo: interactive authentication is required': /wants a password/,
      'sudo: sorry, you must have a tty to run sudo': /wants a terminal/,
      'joe is not in the sudoers file.  This incident will be reported.': /may not become root/,
      "Sorry, user joe is not allowed to execute '/usr/bin/env -i' as root on web-01.":
        /may not become root/,
      '/bin/sh: 1: exec: sudo: not found': /there is no sudo/,
      'sudo: unable to open /etc/sudoers: Permission denied': /did not make us root: .*sudoers/,
    }
    for (const [said, message] of Object.entries(cases)) {
      const failure = explain(`sudo: unable to resolve host web-01\n${said}\n`, { uid: '1000' })
      assert.equal(failure.code, 'REMOTE_DENIED')
      assert.match(failure.message, message)
    }
  })

  it('is one where we are nobody special, when nobody said to become root', () => {
    const failure = explain('', { uid: '1000', become: false })
    assert.equal(failure.code, 'NEEDS_ROOT')
    assert.match(failure.fix ?? '', /--become/)
  })
})
