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

  it('may be a line of sources.list for apt, and for nothing else', async () => {
    const steps = '- repository: {name: a, line: "deb [trusted=yes] http://x/ ./"}'
    const bench = openBench()
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal(bench.text('/etc/apt/sources.list.d/a.list'), 'deb [trusted=yes] http://x/ ./\n')
    const rocky = openBench({ files: { '/etc/os-release': 'ID=rocky\nID_LIKE=rhel\n' } })
    assert.match((await rocky.reconcile(steps))[0]?.message ?? '', /is for apt, not for 'rocky'/)
  })

  it('says once where it is, and once how it is signed', () => {
    for (const [keys, message] of [
      ['trusted: true', /wanted 'url' or 'line'/],
      ['line: "deb http://x y z", url: "http://x"', /wanted 'url' or 'line'/],
      ['line: "deb http://x y z", trusted: true', /says itself what it is signed with/],
      ['line: "deb http://x y z", components: [a]', /suites and components in itself/],
      ['line: "http://x y z"', /is no line of sources.list/],
      ['url: "http://x", trusted: true, guest_keys: true', /wanted one of 'key'/],
    ] as const)
      assert.throws(() => parseSteps(`- repository: {name: a, ${keys}}`), message, keys)
  })

  it('may rely on keys of the guest, and on whoever answers', async () => {
    const keys = 'name: a, url: "https://x/", guest_keys: true'
    const rocky = openBench({ files: { '/etc/os-release': 'ID=rocky\nID_LIKE=rhel\n' } })
    await rocky.reconcile(`- repository: {${keys}, verify_tls: false}`)
    assert.match(rocky.text('/etc/yum.repos.d/a.repo') ?? '', /\nsslverify=0\ngpgcheck=1\n$/)
    const suse = openBench({ files: { '/etc/os-release': 'ID=opensuse-leap\n' } })
    await suse.reconcile(`- repository: {${keys}, verify_tls: false}`)
    assert.match(
      suse.text('/etc/zypp/repos.d/a.repo') ?? '',
      /\nbaseurl=https:\/\/x\/\?ssl_verify=no\n/,
    )
    const debian = openBench()
    await debian.reconcile(`- repository: {${keys}}`)
    assert.doesNotMatch(debian.text('/etc/apt/sources.list.d/a.sources') ?? '', /Trusted|Signed/)
    const [verdict] = await debian.reconcile(`- repository: {${keys}, verify_tls: false}`)
    assert.match(verdict?.message ?? '', /apt verifies TLS for all/)
  })

  it('that is temporary is there for what follows, and gone in the end', async () => {
    const steps = `- repository: {name: a, url: "https://x/", trusted: true, temporary: true}
- file: {path: /seen}`
    const bench = openBench()
    assert.equal((await bench.test(steps))[0]?.status, 'held')
    await bench.reconcile(steps)
    assert.deepEqual(
      bench
        .changes()
        .flatMap((call) =>
          call.kind === 'write' || call.kind === 'remove' ? `${call.kind} ${call.path}` : [],
        ),
      [
        'write /etc/apt/sources.list.d/a.sources',
        'write /seen',
        'remove /etc/apt/sources.list.d/a.sources',
      ],
    )
  })
})
