import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { type BenchOptions, openBench, parseSteps } from '../../testing/recipe-bench.ts'

const DEFAULTS =
  'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=tty0"\n'
const MENU = '/boot/grub/grub.cfg'

/** A Debian; on a host its grub-mkconfig makes the menu of the settings. */
function debian(script: BenchOptions = {}) {
  return openBench({
    files: {
      '/etc/default/grub': DEFAULTS,
      [MENU]: 'linux /v root=x console=tty0 quiet\n',
      '/usr/sbin/grub-mkconfig': 'x',
    },
    answers: [
      {
        to: /^\/usr\/sbin\/grub-mkconfig -o/,
        give: (_command, files) => {
          const text = Buffer.from(files.read('/etc/default/grub') ?? []).toString()
          const words = ['LINUX', 'LINUX_DEFAULT'].map(
            (name) => new RegExp(`^GRUB_CMDLINE_${name}="(.*)"$`, 'm').exec(text)?.[1] ?? '',
          )
          files.write(MENU, Buffer.from(`\tlinux /v root=x ${words.join(' ')}\n`), {
            mode: 0o600,
            uid: 0,
            gid: 0,
          })
        },
      },
    ],
    ...script,
  })
}

describe('kernel_argument', () => {
  it('is written into the menu of an image without running anything of it', async () => {
    const bench = debian({ answers: [] })
    assert.equal((await bench.reconcile('- kernel_argument: net.ifnames=0'))[0]?.status, 'changed')
    assert.equal(bench.text(MENU), 'linux /v root=x console=tty0 quiet net.ifnames=0\n')
    assert.deepEqual(bench.commands(), [])
  })

  it('is left to GRUB’s own program on a running host', async () => {
    const bench = debian({ place: 'host' })
    assert.equal((await bench.reconcile('- kernel_argument: net.ifnames=0'))[0]?.status, 'changed')
    assert.ok(bench.commands().includes(`/usr/sbin/grub-mkconfig -o ${MENU}`))
  })

  it('stands in the settings and in the menu made of them, and then holds', async () => {
    const bench = debian()
    const steps = '- kernel_argument: net.ifnames=0'
    const [before] = await bench.test(steps)
    assert.deepEqual(
      before?.differences.map(({ what }) => what),
      ['kernel arguments in /etc/default/grub', `kernel arguments in ${MENU}`],
    )
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.match(
      bench.text('/etc/default/grub') ?? '',
      /^GRUB_CMDLINE_LINUX="console=tty0 net\.ifnames=0"$/m,
    )
    assert.match(bench.text(MENU) ?? '', /net\.ifnames=0/)
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
  })

  it('takes the place of another value, unless it may be said several times', async () => {
    const bench = debian()
    await bench.reconcile('- kernel_argument: {name: mitigations, value: auto}')
    await bench.reconcile('- kernel_argument: mitigations=off')
    await bench.reconcile('- kernel_argument: console=ttyS0,115200')
    assert.match(
      bench.text('/etc/default/grub') ?? '',
      /"console=tty0 mitigations=off console=ttyS0,115200"/,
    )
  })

  it('that must not be there goes from every setting', async () => {
    const bench = debian()
    assert.equal(
      (await bench.reconcile('- kernel_argument: {name: quiet, absent: true}'))[0]?.status,
      'changed',
    )
    await bench.reconcile('- kernel_argument: {name: console, absent: true}')
    assert.match(bench.text('/etc/default/grub') ?? '', /LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX=""/)
  })

  it('is put into the file that has the last word', async () => {
    const cloud = '/etc/default/grub.d/50-cloud.cfg'
    const bench = debian({
      files: { '/etc/default/grub': DEFAULTS, [cloud]: 'GRUB_CMDLINE_LINUX="a"\n' },
    })
    assert.equal((await bench.reconcile('- kernel_argument: b'))[0]?.status, 'changed')
    assert.equal(bench.text(cloud), 'GRUB_CMDLINE_LINUX="a b"\n')
    assert.equal(bench.text('/etc/default/grub'), DEFAULTS)
  })

  it('is added to settings that say nothing of it', async () => {
    const bench = debian({ files: { '/etc/default/grub': 'GRUB_TIMEOUT=5' } })
    await bench.reconcile('- kernel_argument: quiet')
    assert.equal(bench.text('/etc/default/grub'), 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n')
  })

  it('is written into the boot loader entries of an image', async () => {
    const entry = '/boot/loader/entries/a.conf'
    const bench = openBench({ files: { [entry]: 'title A\noptions root=x quiet\n' } })
    await bench.reconcile('- kernel_argument: {name: quiet, absent: true}')
    assert.equal(bench.text(entry), 'title A\noptions root=x\n')
  })

  it('is given to grubby where it alone can change the entries', async () => {
    const entry = '/boot/loader/entries/a.conf'
    const bench = openBench({
      files: {
        '/etc/os-release': 'ID=rocky\nID_LIKE=rhel\n',
        '/etc/default/grub': 'GRUB_CMDLINE_LINUX="quiet"\n',
        '/usr/sbin/grubby': 'x',
        [entry]: 'options root=x $kernelopts\n',
        '/boot/grub2/grubenv': 'kernelopts=quiet\n',
      },
      answers: [
        {
          to: /grubby --update-kernel=ALL --remove-args=quiet$/,
          give: (_command, files) =>
            files.write(entry, Buffer.from('options root=x\n'), {
              mode: 0o644,
              uid: 0,
              gid: 0,
            }),
        },
      ],
    })
    assert.equal(
      (await bench.reconcile('- kernel_argument: {name: quiet, absent: true}'))[0]?.status,
      'changed',
    )
  })

  it('cannot be given where there is no GRUB', async () => {
    const [verdict] = await openBench().test('- kernel_argument: quiet')
    assert.match(verdict?.message ?? '', /does not boot by GRUB/)
  })

  it('is a word that no shell and no GRUB takes apart', () => {
    for (const steps of [
      '- kernel_argument: "a b"',
      '- kernel_argument: "a=$(id)"',
      `- kernel_argument: 'a="b"'`,
      '- kernel_argument: {name: a, value: b, absent: true}',
    ])
      assert.throws(() => parseSteps(steps), failsWith('RECIPE_INVALID'), steps)
  })
})
