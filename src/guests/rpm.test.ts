import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { findProgram, runTool } from '../base/process.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type RemoteScript } from '../testing/scripted-remote.ts'
import { parseRpmDatabase } from './_rpm-database.ts'
import { parseRpmHeader } from './_rpm-header.ts'
import { isRpmVersion, parseRpmQuery, rpm, zypper } from './rpm.ts'

const SPEC = `Name: hello
Version: 2.3
Release: 4.el9
Epoch: 1
Summary: greets
License: MIT
URL: https://example.org/hello
Vendor: Nobody
BuildArch: noarch
Provides: greeting = 2
%description
greets
%package extra
Summary: greets more
%description extra
greets more
%files
%files extra
`

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)

const options = {
  timeoutMs: 1000,
  onOutput: () => {},
  context: makeContext(),
  cacheDir: '/nonexistent',
}

function open(script: RemoteScript) {
  const scripted = makeScriptedRemote(script)
  return { ...scripted, remote: openRemote(scripted.driver, makeContext()) }
}

const skip = findProgram('rpmbuild') === undefined ? 'needs rpmbuild' : false

describe("rpm's database, as rpm itself writes it", { skip }, () => {
  let directory: string
  let content: Buffer
  let database: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-rpm-'))
    await writeFile(join(directory, 'hello.spec'), SPEC)
    await runTool([
      'rpmbuild',
      '-bb',
      '--define',
      `_topdir ${directory}`,
      join(directory, 'hello.spec'),
    ])
    database = join(directory, 'db')
    await mkdir(database)
    const made = ['hello', 'hello-extra'].map((name) =>
      join(directory, `RPMS/noarch/${name}-2.3-4.el9.noarch.rpm`),
    )
    const rpmInto = ['rpm', '--dbpath', database, '--justdb', '--nodeps', '--noscripts']
    await runTool([...rpmInto, '-i', ...made])
    content = await readFile(join(database, 'rpmdb.sqlite'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('is read without rpm', async () => {
    const { remote } = open({ files: { '/var/lib/rpm/rpmdb.sqlite': content } })
    const [hello, extra] = await rpm.readInstalled(remote)
    assert.deepEqual(hello, {
      name: 'hello',
      version: '1:2.3-4.el9',
      architecture: 'noarch',
      provides: ['greeting'],
      maintainer: 'Nobody',
      homepage: 'https://example.org/hello',
      license: 'MIT',
    })
    assert.equal(extra?.source, 'hello')
  })

  it('says the same as rpm when it is asked by command', async () => {
    const { remote, calls } = open({ answers: [{ to: 'rpm', give: { stdout: '' } }] })
    await rpm.readInstalled(remote)
    const asked = calls.flatMap((call) => (call.kind === 'run' ? [call.command.argv] : []))
    const [program = '', ...words] = asked[0] ?? []
    const said = await runTool([program, '--dbpath', database, ...words])
    assert.deepEqual(
      parseRpmQuery(said.toString()).sort(byName),
      parseRpmDatabase(content)?.sort(byName),
    )
  })

  it('is left to rpm when a log beside it holds changes', async () => {
    const { remote, commands } = open({
      files: { '/var/lib/rpm/rpmdb.sqlite': content, '/var/lib/rpm/rpmdb.sqlite-wal': 'x' },
      answers: [{ to: 'rpm' }],
    })
    assert.deepEqual(await rpm.readInstalled(remote), [])
    assert.equal(commands().length, 1)
  })

  it('never fails on a damaged one: it is read, or left to rpm', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(content.length - 1), fc.nat(255)), {
          minLength: 1,
          maxLength: 30,
        }),
        (changes) => {
          const damaged = Buffer.from(content)
          for (const [at, byte] of changes) damaged[at] = byte
          void parseRpmDatabase(damaged)
        },
      ),
      { numRuns: 200 },
    )
    assert.equal(parseRpmDatabase(content.subarray(0, 5000)), undefined)
    assert.equal(parseRpmDatabase(Buffer.from('not a database at all'.repeat(20))), undefined)
  })
})

describe("a header of rpm's database", () => {
  it('is read within its bounds, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(8), (bytes, count) => {
        if (bytes.length > 8) new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, count)
        void parseRpmHeader(bytes)
      }),
    )
  })
})

describe('dnf, yum and zypper', () => {
  it('take a version with or without epoch, release and architecture', () => {
    for (const wanted of ['2.3', '2.3-4.el9', '1:2.3-4.el9', '1:2.3', '2.3-4.el9.noarch', '2.*'])
      assert.equal(isRpmVersion('1:2.3-4.el9', 'noarch', wanted), true, wanted)
    for (const wanted of ['2', '2.3-4', '2:2.3', '2.3-4.el9.x86_64'])
      assert.equal(isRpmVersion('1:2.3-4.el9', 'noarch', wanted), false, wanted)
  })

  it('install all at once, by the program the guest has', async () => {
    const specs = [{ name: 'jq' }, { name: 'tree', version: '2.1' }]
    const dnf = open({
      files: { '/usr/bin/dnf': '', '/usr/bin/yum': '' },
      answers: [{ to: 'dnf' }],
    })
    await rpm.install(dnf.remote, specs, options)
    assert.deepEqual(dnf.commands(), [
      'dnf -y --setopt=timeout=20 --setopt=retries=2 install jq tree-2.1',
    ])
    const yum = open({ files: { '/usr/bin/yum': '' }, answers: [{ to: 'yum' }] })
    await rpm.install(yum.remote, specs, options)
    assert.match(yum.commands()[0] ?? '', /^yum -y /)
    const suse = open({ answers: [{ to: 'zypper', give: { code: 103 } }] })
    await zypper.install(suse.remote, specs, options)
    assert.match(suse.commands()[0] ?? '', /--oldpackage -- jq tree=2\.1$/)
  })

  it('look again with fresh metadata before they say that there is no such package', async () => {
    const { remote, commands } = open({
      files: { '/usr/bin/dnf': '' },
      answers: [
        { to: /clean/ },
        {
          to: 'dnf',
          give: {
            code: 1,
            stderr: 'No match for argument: nope\nError: Unable to find a match: nope',
          },
        },
      ],
    })
    await assert.rejects(rpm.install(remote, [{ name: 'nope' }], options), (error: Error) => {
      assert.match(error.message, /no package 'nope'/)
      return failsWith('STEP_FAILED')(error)
    })
    assert.equal(commands().length, 3)
  })

  it('say what is missing when the guest has no program for it', async () => {
    const { remote } = open({ answers: [] })
    await assert.rejects(rpm.install(remote, [{ name: 'jq' }], options), failsWith('TOOL_MISSING'))
  })

  it('refuse names that would be taken for options', () => {
    assert.notEqual(rpm.refuses({ name: '--nogpgcheck' }), undefined)
    assert.notEqual(rpm.refuses({ name: '@core' }), undefined)
    assert.equal(rpm.refuses({ name: 'perl(Foo::Bar)' }), undefined)
  })
})
