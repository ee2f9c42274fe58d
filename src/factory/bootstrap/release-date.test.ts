import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReleaseDate } from './release-date.ts'

describe('the date of a release', () => {
  it('is read from a signed Release file', () => {
    const text = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Codename: bookworm
Date: Sat, 11 Jul 2026 10:16:37 UTC
SHA256:
 0000 1 main/Packages
-----BEGIN PGP SIGNATURE-----

xyz
-----END PGP SIGNATURE-----
`
    assert.deepEqual(parseReleaseDate(text, 'u'), new Date('2026-07-11T10:16:37Z'))
  })

  it('must be there', () => {
    for (const text of ['', '<html>', 'Origin: Debian\nDate: soon\n'])
      assert.throws(() => parseReleaseDate(text, 'http://m.example/Release'), {
        code: 'DOWNLOAD_FAILED',
        message: /m\.example.* has no date/,
      })
  })
})
