import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from './fails-with.ts'
import { testRemoteContract } from './remote-contract.ts'
import { makeScriptedRemote, type RemoteScript } from './scripted-remote.ts'

const open = (script: RemoteScript) => {
  const scripted = makeScriptedRemote(script)
  return { ...scripted, remote: openRemote(scripted.driver, makeContext()) }
}

testRemoteContract(
  'the scripted remote without a script',
  async () => ({ remote: open({}).remote, base: '/var/lib/base', untouched: ['/', '/tmp'] }),
  { writable: true, runs: false },
)

describe('a scripted remote', () => {
  it('answers by program, by words, by pattern and by function, the first that fits', async () => {
    const { remote } = open({
      answers: [
        { to: ['dpkg', '-s', 'jq'], give: { code: 1 } },
        { to: 'dpkg', give: { stdout: 'installed' } },
        { to: /^apt-get .* install/, give: { code: 100, stderr: 'E: no' } },
        { to: ({ env }) => env?.['X'] === '1', give: (c) => ({ stdout: String(c.input) }) },
      ],
    })
    assert.equal((await remote.run({ argv: ['dpkg', '-s', 'jq'] })).code, 1)
    assert.equal((await remote.run({ argv: ['dpkg', '-s', 'tree'] })).stdout, 'installed')
    assert.equal((await remote.run({ argv: ['apt-get', '-y', 'install', 'x'] })).code, 100)
    assert.equal((await remote.run({ argv: ['any'], env: { X: '1' }, input: 'in' })).stdout, 'in')
  })

  it('answers so often, then gives way to the next', async () => {
    const { remote } = open({ answers: [{ to: 'a', give: { code: 1 }, times: 1 }, { to: 'a' }] })
    assert.equal((await remote.run({ argv: ['a'] })).code, 1)
    assert.equal((await remote.run({ argv: ['a'] })).code, 0)
    assert.equal((await remote.run({ argv: ['a'] })).code, 0)
  })

  it('fails for what it was not told, unless it was told what to do otherwise', async () => {
    await assert.rejects(
      open({ answers: [] }).remote.run({ argv: ['a'] }),
      failsWith('REMOTE_LOST'),
    )
    assert.equal((await open({ otherwise: { code: 9 } }).remote.run({ argv: ['a'] })).code, 9)
  })

  it('fails as the script says', async () => {
    const { remote } = open({
      answers: [{ to: 'slow', give: new Failure('COMMAND_TIMEOUT', 'slow') }],
    })
    await assert.rejects(remote.run({ argv: ['slow'] }), failsWith('COMMAND_TIMEOUT'))
  })

  it('keeps every call in order, and lets commands change files', async () => {
    const { remote, commands, changes, calls } = open({
      files: { '/etc/hostname': 'old\n' },
      answers: [
        {
          to: 'touch',
          give: ({ argv }, files) =>
            files.write(argv[1]!, new Uint8Array(), { mode: 0o644, uid: 0, gid: 0 }),
        },
      ],
    })
    assert.equal(await remote.readText('/etc/hostname'), 'old\n')
    await remote.run({ argv: ['touch', '/etc/new'] })
    await remote.writeFile('/etc/hostname', 'new\n')
    await remote[Symbol.asyncDispose]()
    assert.deepEqual(commands(), ['touch /etc/new'])
    assert.deepEqual(
      calls.map(({ kind }) => kind),
      ['read', 'run', 'stat', 'write', 'close'],
    )
    assert.equal(changes().length, 1)
    assert.deepEqual(makeScriptedRemote().files.list('/etc'), ['os-release'])
  })

  it('is Debian 12 on x86_64 unless told otherwise', async () => {
    const debian = await open({ place: 'host', answers: [] }).remote.facts()
    assert.deepEqual(
      [debian.distro, debian.family, debian.version, debian.architecture],
      ['debian', 'debian', '12', 'x86_64'],
    )
    const rocky = await open({ files: { '/etc/os-release': 'ID=rocky\n' } }).remote.facts()
    assert.equal(rocky.family, 'redhat')
  })
})
