import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  formatSources,
  parseSourcesDeb822,
  parseSourcesList,
  readHostApt,
  withoutPasswords,
} from './apt-sources.ts'

describe('sources of apt', () => {
  it('are read from one-line form, with options and comments', () => {
    const text = [
      '# deb http://old.example/debian bookworm main',
      'deb http://mirror.example/debian bookworm main contrib # ours',
      'deb [arch=amd64 signed-by=/etc/apt/keyrings/x.gpg] https://x.example stable  main',
      'deb-src http://mirror.example/debian bookworm main',
      'deb http://flat.example/ ./',
    ].join('\n')
    assert.deepEqual(parseSourcesList(text), [
      {
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: undefined,
      },
      {
        uris: ['https://x.example'],
        suites: ['stable'],
        components: ['main'],
        signedBy: '/etc/apt/keyrings/x.gpg',
        architectures: ['amd64'],
      },
      { uris: ['http://flat.example/'], suites: ['./'], components: [], signedBy: undefined },
    ])
  })

  it('are read from deb822 form, without what is switched off', () => {
    const text = `Types: deb deb-src
# a comment in between
URIs: http://a.example/debian
 http://b.example/debian
Suites: bookworm bookworm-updates
Components: main
Architectures: amd64 arm64
Check-Valid-Until: no
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFit
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://c.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://d.example/debian
Suites: bookworm
`
    assert.deepEqual(parseSourcesDeb822(text), [
      {
        uris: ['http://a.example/debian', 'http://b.example/debian'],
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main'],
        signedBy:
          '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFit\n-----END PGP PUBLIC KEY BLOCK-----\n',
        architectures: ['amd64', 'arm64'],
        unexpiring: true,
      },
    ])
  })

  it('never throw, whatever a file holds, and are found again after being written', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSourcesList(text)))
    fc.assert(fc.property(fc.string(), (text) => void parseSourcesDeb822(text)))
    const word = fc.stringMatching(/^[a-z][a-z0-9./-]{0,12}$/)
    const list = fc.array(word, { minLength: 1, maxLength: 3 })
    const source = fc.record({ uris: list, suites: list, components: list })
    fc.assert(
      fc.property(fc.array(source), (sources) => {
        const signed = sources.map((one) => ({ ...one, signedBy: '/keys.gpg' }))
        assert.deepEqual(parseSourcesDeb822(formatSources(signed, '/keys.gpg')), signed)
      }),
    )
  })

  it('lose the passwords of their mirrors', () => {
    const [source] = withoutPasswords(
      parseSourcesList('deb https://me:secret@mirror.example/debian bookworm main'),
    )
    assert.deepEqual(source?.uris, ['https://mirror.example/debian'])
  })

  it('are gathered from all files of a host', async () => {
    const root = await mkdtemp(join(tmpdir(), 'apt-sources-'))
    try {
      assert.deepEqual(await readHostApt(root), { sources: [], distro: '', codename: '' })
      await mkdir(join(root, 'etc/apt/sources.list.d'), { recursive: true })
      const write = (path: string, text: string) => writeFile(join(root, 'etc', path), text)
      await write('os-release', 'ID=debian\nVERSION_CODENAME=bookworm\n')
      await write('apt/sources.list', 'deb http://one.example/debian bookworm main\n')
      await write('apt/sources.list.d/b.list', 'deb http://two.example stable main\n')
      await write(
        'apt/sources.list.d/a.sources',
        'Types: deb\nURIs: http://three.example\nSuites: x\n',
      )
      await write('apt/sources.list.d/c.list.save', 'deb http://four.example stable main\n')
      const host = await readHostApt(root)
      assert.deepEqual([host.distro, host.codename], ['debian', 'bookworm'])
      assert.deepEqual(
        host.sources.map(({ uris }) => uris[0]),
        ['http://one.example/debian', 'http://three.example', 'http://two.example'],
      )
    } finally {
      await rm(root, { recursive: true })
    }
  })
})
