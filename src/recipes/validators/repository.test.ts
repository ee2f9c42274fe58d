import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const KEY = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n'
const resources = { 'key.asc': KEY, 'bad.asc': 'hello' }
const SIGNED = `- repository:
    name: tools
    url: https://packages.example.org/debian
    components: [main, extra]
    architectures: [amd64]
    description: Our tools
    key_source: key.asc`

describe('repository', () => {
  it('is a deb822 file with a key of its own for apt, and then holds', async () => {
    const bench = openBench({ resources })
    assert.equal((await bench.test(SIGNED))[0]?.status, 'differs')
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile(SIGNED))[0]?.status, 'changed')
    assert.equal(
      bench.text('/etc/apt/sources.list.d/tools.sources'),
      `# Our tools
Types: deb
URIs: https://packages.example.org/debian
Suites: bookworm
Components: main extra
Architectures: amd64
Signed-By: /etc/apt/keyrings/tools.asc
`,
    )
    assert.equal(bench.text('/etc/apt/keyrings/tools.asc'), KEY)
    assert.equal((await bench.reconcile(SIGNED))[0]?.status, 'held')
  })

  it('has no components when its suite is a path, and says so when it is not signed', async () => {
    const bench = openBench()
    await bench.reconcile(
      '- repository: {name: flat, url: "file:///srv/deb", suites: [./], trusted: true}',
    )
    assert.equal(
      bench.text('/etc/apt/sources.list.d/flat.sources'),
      'Types: deb\nURIs: file:///srv/deb\nSuites: ./\nTrusted: yes\n',
    )
  })

  it('is a .repo file with its key for dnf and yum, and for zypper', async () => {
    const rocky = openBench({ resources, files: { '/etc/os-release': 'ID=rocky\nID_LIKE=rhel\n' } })
    await rocky.reconcile(SIGNED)
    assert.equal(
      rocky.text('/etc/yum.repos.d/tools.repo'),
      `[tools]
name=Our tools
baseurl=https://packages.example.org/debian
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-tools
`,
    )
    const suse = openBench({
      resources,
      files: { '/etc/os-release': 'ID=opensuse-leap\n' },
      otherwise: {},
    })
    assert.equal((await suse.reconcile(SIGNED))[0]?.status, 'changed')
    assert.match(suse.text('/etc/zypp/repos.d/tools.repo') ?? '', /autorefresh=1/)
    assert.deepEqual(suse.commands(), ['rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-tools'])
  })

  it('that must not be there goes with its key', async () => {
    const bench = openBench({ resources })
    await bench.reconcile(SIGNED)
    const steps = '- repository: {name: tools, url: "https://x", absent: true}'
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal(bench.text('/etc/apt/keyrings/tools.asc'), undefined)
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
  })

  it('is refused without a key, unless it says that it is trusted', () => {
    for (const [steps, message] of [
      ['- repository: {name: a, url: "https://x"}', /wanted one of 'key'/],
      ['- repository: {name: a, url: "https://x", trusted: false}', /wanted one of 'key'/],
      ['- repository: {name: a, url: "https://x", key_source: bad.asc}', /no OpenPGP public key/],
      ['- repository: {name: a, url: "gopher://x", trusted: true}', /cannot be the address/],
      ['- repository: {name: ../a, url: "https://x", trusted: true}', /cannot name a repository/],
      ['- repository: {name: a, url: "https://x", trusted: true, suites: ["a b"]}', /single word/],
    ] as const)
      assert.throws(
        () => parseSteps(steps, { resources }),
        (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
        steps,
      )
  })

  it('never holds a second line that an argument brought in', async () => {
    const bench = openBench({ values: { url: 'https://x\nTrusted: yes' } })
    const [verdict] = await bench.reconcile(
      '- repository: {name: a, url: "{{ url }}", trusted: true}',
    )
    assert.equal(verdict?.status, 'failed')
    assert.deepEqual(bench.changes(), [])
  })
})
