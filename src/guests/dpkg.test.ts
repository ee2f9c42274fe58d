import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type RemoteScript } from '../testing/scripted-remote.ts'
import { parseControl } from './control-file.ts'
import { dpkg, parseDpkgStatus } from './dpkg.ts'
import { isVersion } from './package-manager.ts'

const STATUS = `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: postfix
Status: install ok installed
Maintainer: Somebody <somebody@example.org>
Architecture: amd64
Source: postfix-src (3.7)
Version: 3.7.11-0+deb12u1
Provides: mail-transport-agent, default-mta (= 3)
Description: mail
 It carries: mail
 .
 Status: not this one

Package: libc6
Status: hold ok installed
Architecture: i386
Version: 2.36-9

Package: nano
Status: deinstall ok config-files
Architecture: amd64
Version: 7.2-1

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 1
`

const now = () => new Date('2026-01-01T00:00:00Z')

/** Lists of packages as old as everything in a scripted tree, or with a clock that makes them new. */
function open(script: RemoteScript, clock = now) {
  const context = makeContext({ now: clock })
  const scripted = makeScriptedRemote(script)
  const options = { timeoutMs: 1000, onOutput: () => {}, context, cacheDir: '/nonexistent' }
  return { ...scripted, remote: openRemote(scripted.driver, context), options }
}

describe('dpkg', () => {
  it('counts what is installed, also when it is held, and not what was removed or is half done', () => {
    assert.deepEqual(
      parseDpkgStatus(STATUS).map(({ name, version }) => `${name} ${version}`),
      ['dpkg 1.21.22', 'libc6:i386 2.36-9', 'postfix 3.7.11-0+deb12u1'],
    )
  })

  it('tells source, maintainer and what else a package answers to', () => {
    const postfix = parseDpkgStatus(STATUS).find(({ name }) => name === 'postfix')
    assert.equal(postfix?.source, 'postfix-src')
    assert.equal(postfix?.maintainer, 'Somebody <somebody@example.org>')
    assert.deepEqual(postfix?.provides, ['mail-transport-agent', 'default-mta'])
  })

  it('takes a package that provides the name, unless a version is asked for', () => {
    const postfix = parseDpkgStatus(STATUS).find(({ name }) => name === 'postfix')!
    assert.equal(dpkg.satisfies(postfix, { name: 'mail-transport-agent' }), true)
    assert.equal(dpkg.satisfies(postfix, { name: 'mail-transport-agent', version: '3' }), false)
    assert.equal(dpkg.satisfies(postfix, { name: 'postfix:amd64' }), true)
    assert.equal(dpkg.satisfies(postfix, { name: 'postfix', version: '3.7.*' }), true)
    assert.equal(dpkg.satisfies(postfix, { name: 'postfix', version: '3.7' }), false)
  })

  it('does not take a package of a foreign architecture for one of its own', () => {
    const libc = parseDpkgStatus(STATUS).find(({ name }) => name.startsWith('libc6'))!
    assert.equal(dpkg.satisfies(libc, { name: 'libc6' }), false)
    assert.equal(dpkg.satisfies(libc, { name: 'libc6:i386' }), true)
  })

  it('refuses names that apt would take for orders', () => {
    for (const name of ['nginx-', '-y', 'a b', 'a=1', 'a/sid', './x.deb', ''])
      assert.notEqual(dpkg.refuses({ name }), undefined, name)
    for (const name of ['g++', 'libstdc++6', 'libc6:i386', '2ping', 'r'])
      assert.equal(dpkg.refuses({ name }), undefined, name)
  })

  it('gives back the fields of any stanza', () => {
    const key = fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,10}$/)
    const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
    const stanza = fc.uniqueArray(fc.tuple(key, value), {
      selector: ([name]) => name.toLowerCase(),
      minLength: 1,
    })
    fc.assert(
      fc.property(fc.array(stanza), (stanzas) => {
        const text = stanzas
          .map((fields) => fields.map(([name, said]) => `${name}: ${said}\n`).join(''))
          .join('\n')
        const wanted = stanzas.map((fields) =>
          fields.map(([name, said]) => [name.toLowerCase(), said]),
        )
        assert.deepEqual(
          parseControl(text).map((fields) => [...fields]),
          wanted,
        )
      }),
    )
  })

  it('reads any bytes without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseDpkgStatus(text)))
  })
})

/** A minute after everything in a scripted tree was changed. */
const soon = () => new Date((1_700_000_000 + 60) * 1000)

const words = (commands: string[]) =>
  commands.map((one) => one.replace(/^apt-get .*? (update|install)\b/, '$1'))

const fails = (
  code: 'STEP_FAILED' | 'DOWNLOAD_FAILED' | 'NO_SPACE' | 'COMMAND_FAILED',
  text: string,
) => {
  const matches = failsWith(code)
  return (error: unknown) => matches(error) && (error as Error).message.includes(text)
}

const failing = (stderr: string, update = '') =>
  open({
    answers: [
      { to: /install/, give: { code: 100, stderr } },
      { to: 'apt-get', give: { stderr: update } },
      { to: 'touch' },
    ],
  })

describe('apt', () => {
  const lists = { '/var/lib/apt/lists/mirror_Packages': '' }

  it('fetches the lists of packages when there are none, then installs all at once', async () => {
    const { remote, options, commands, calls } = open({
      answers: [{ to: 'apt-get' }, { to: 'touch' }],
    })
    await dpkg.install(remote, [{ name: 'jq' }, { name: 'tree', version: '2.1.0-1' }], options)
    assert.deepEqual(words(commands()), [
      'update',
      'touch -c /var/lib/apt/lists',
      'install --allow-downgrades -- jq tree=2.1.0-1',
    ])
    const [update] = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.equal(update?.env?.['DEBIAN_FRONTEND'], 'noninteractive')
  })

  it('fetches translated descriptions only for a guest that has some', async () => {
    const translated = { '/var/lib/apt/lists/mirror_i18n_Translation-en': '' }
    for (const [files, without] of [
      [{}, true],
      [translated, false],
    ] as const) {
      const answers = [{ to: 'apt-get' }, { to: 'touch' }]
      const { remote, options, commands } = open({ files, answers })
      await dpkg.install(remote, [{ name: 'jq' }], options)
      assert.equal(commands()[0]?.endsWith('-o Acquire::Languages=none update'), without)
    }
  })

  it('leaves lists alone that are younger than an hour', async () => {
    const { remote, options, commands } = open({ files: lists, answers: [{ to: 'apt-get' }] }, soon)
    await dpkg.install(remote, [{ name: 'jq' }], options)
    assert.deepEqual(words(commands()), ['install -- jq'])
  })

  it('fetches young lists again when they lack the package', async () => {
    const missing = { code: 100, stderr: 'E: Unable to locate package jq\n' }
    const { remote, options, commands } = open(
      {
        files: lists,
        answers: [{ to: /install/, give: missing, times: 1 }, { to: 'apt-get' }, { to: 'touch' }],
      },
      soon,
    )
    await dpkg.install(remote, [{ name: 'jq' }], options)
    assert.equal(words(commands()).filter((one) => one.startsWith('install')).length, 2)
  })

  it('says in one line what went wrong', async () => {
    for (const [stderr, code, text] of [
      ['E: Unable to locate package nope', 'STEP_FAILED', "no package 'nope'"],
      ["E: Version '9' for 'jq' was not found", 'STEP_FAILED', "no version '9' of 'jq'"],
      ["E: Package 'x' has no installation candidate", 'STEP_FAILED', "'x'"],
      ["E: You don't have enough free space in /var/cache", 'NO_SPACE', 'no space'],
      ['dpkg: error: cannot write: No space left on device', 'NO_SPACE', 'no space'],
      ["Temporary failure resolving 'mirror'", 'DOWNLOAD_FAILED', 'does not answer'],
      ['E: Sub-process /usr/bin/dpkg returned an error code (1)', 'COMMAND_FAILED', 'Sub-process'],
    ] as const) {
      const { remote, options } = failing(stderr)
      await assert.rejects(dpkg.install(remote, [{ name: 'jq' }], options), fails(code, text))
    }
  })

  it('blames the mirror when a package is unknown because the lists could not be fetched', async () => {
    const { remote, options } = failing(
      'E: Unable to locate package jq',
      "W: Failed to fetch http://mirror/x  Temporary failure resolving 'mirror'",
    )
    await assert.rejects(
      dpkg.install(remote, [{ name: 'jq' }], options),
      fails('DOWNLOAD_FAILED', "resolving 'mirror'"),
    )
  })
})

describe('a wanted version', () => {
  it('is exactly that, or what its stars allow', () => {
    for (const [version, wanted, fits] of [
      ['1.2', '1.2', true],
      ['1.2.1', '1.2', false],
      ['1.2.1', '1.2*', true],
      ['1.2.1', '*1', true],
      ['1.2.1', '1*1', true],
      ['1', '1*1', false],
      ['a1', '1*', false],
      ['1.2.1-3', '1.*.1-*', true],
      ['', '*', true],
    ] as const)
      assert.equal(isVersion(version, wanted), fits, `${version} ${wanted}`)
  })

  it('is found wherever stars are put over parts of it', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-z.+-]{0,20}$/),
        fc.nat(20),
        fc.nat(20),
        (text, a, b) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)]
          assert.equal(isVersion(text, `${text.slice(0, from)}*${text.slice(to)}`), true)
        },
      ),
    )
  })
})
