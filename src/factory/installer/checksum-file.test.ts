import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { findChecksum } from './checksum-file.ts'

const SUM = 'd41d8cd98f00b204e9800998ecf8427e'
const OTHER = '0'.repeat(32)

for (const [what, text] of [
  ['text mode', `${OTHER}  b.iso\n${SUM}  a.iso\n`],
  ['binary mode', `${SUM} *a.iso\r\n`],
  ['with directories', `${SUM}  ./images/a.iso\n`],
  ['BSD', `MD5 (a.iso) = ${SUM.toUpperCase()}\n`],
  ['signed', `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${SUM}  a.iso\n-----BEGIN PGP`],
  ['alone', `${SUM}\n`],
  ['twice the same', `${SUM}  a.iso\n${SUM}  other/a.iso\n`],
] as const)
  test(`finds a checksum: ${what}`, () => {
    assert.equal(findChecksum(text, 'a.iso', 'md5'), SUM)
  })

test('refuses a file without the name, with another kind of digest, or with two', () => {
  const bad = [
    '',
    `${SUM}  b.iso\n`,
    `${SUM}${SUM}  a.iso\n`,
    `${SUM}  a.iso.torrent\n`,
    `${SUM}  a.iso\n${OTHER}  a.iso\n`,
  ]
  for (const text of bad)
    assert.throws(() => findChecksum(text, 'a.iso', 'md5'), failsWith('DIGEST_MISMATCH'), text)
})

test('any text gives a digest or says that there is none', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.string(), (text, name) => {
      try {
        assert.match(findChecksum(text, name, 'sha1'), /^[0-9a-f]{40}$/)
      } catch (error) {
        assert.ok(isFailure(error, 'DIGEST_MISMATCH'), String(error))
      }
    }),
  )
})
