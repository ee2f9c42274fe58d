import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { hostKeysOn } from './console-keys.ts'
import { leaveOutNoise, newPart } from './watch-server.ts'

test('each piece of a console is told once, as long as the tails of it overlap', () => {
  fc.assert(
    fc.property(fc.array(fc.uuid(), { minLength: 1, maxLength: 30 }), fc.nat(5), (lines, step) => {
      const whole = lines.map((line) => `${line}\n`)
      let before = ''
      let told = ''
      for (let end = 0; end <= whole.length; end += step + 1) {
        // The cloud shows the last 15 lines.
        const now = whole.slice(Math.max(0, end - 15), end).join('')
        told += newPart(before, now)
        before = now
      }
      assert.ok(whole.join('').startsWith(told))
    }),
  )
})

const KEY = `AAAAC3NzaC1lZDI1NTE5AAAA${'x'.repeat(40)}`
const PRINT = `SHA256:${'a'.repeat(43)}`

test('host keys on a console are found, whole or as fingerprints', () => {
  const whole = `-----BEGIN SSH HOST KEY KEYS-----\r\nssh-ed25519 ${KEY} root@x\r\n-----END SSH HOST KEY KEYS-----\r\n`
  assert.deepEqual(hostKeysOn(`boot\n${whole}login: `), [`ssh-ed25519 ${KEY}`])
  const listed = `ci-info: 256 ${PRINT} root@x (ECDSA)\n`
  assert.deepEqual(hostKeysOn(listed), [`ecdsa-sha2-nistp256 ${PRINT}`])
  const made = [
    '[  1.0] cloud-init[3]: The key fingerprint is:',
    `[  1.0] cloud-init[3]: ${PRINT} root@x`,
    "[  1.0] cloud-init[3]: The key's randomart image is:",
    '[  1.0] cloud-init[3]: +--[ED25519 256]--+',
    '',
  ].join('\r\n')
  assert.deepEqual(hostKeysOn(made), [`ssh-ed25519 ${PRINT}`])
  assert.deepEqual(hostKeysOn(`Authorized keys: ${PRINT} user@x\n`), [])
})

test('whatever a console shows, looking for keys is soon over', () => {
  const hostile = ['The key fingerprint is:\n'.repeat(5000), `256 ${PRINT} `.repeat(5000)]
  for (const text of hostile) assert.deepEqual(hostKeysOn(text), [])
  fc.assert(fc.property(fc.string(), (text) => hostKeysOn(text).length === 0))
})

test('what others tell to everybody is no activity of a guest', () => {
  const meaningful = leaveOutNoise()
  assert.deepEqual(
    [100_000, 100_300, 104_000, 104_001, 200_000].map((bytes) => meaningful(bytes)),
    [100_000, 100_000, 100_000, 100_000, 195_999],
  )
})
