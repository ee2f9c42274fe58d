import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { runTool } from '../base/process.ts'
import { buildJob, type TestBuild } from '../testing/build-job.ts'
import { templateOf } from '../testing/template-of.ts'
import { failsWith } from '../testing/fails-with.ts'
import { type Sshd, startSshd, whyNoSshd } from '../testing/sshd.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type CustomiseOrder, customiseOverSsh } from './customise.ts'

const skip = whyNoSshd() ?? false
const at = await tempDir()

const RECIPE = `
validators:
  - script: { make: { inline: "echo made by a recipe > /etc/made; id -u" } }
`
/** What is cleaned here is a copy of this machine: most of it stays, to be quick. */
const KEEP = ['package-lists', 'package-caches', 'caches', 'certificates', 'backups']

describe('a guest that is customised over SSH', { skip }, () => {
  let sshd: Sshd
  let publicKey: string
  let directories = 0
  before(async () => {
    sshd = await startSshd({
      users: { joe: { sudo: 'free' } },
      prepare: `mkdir -p /home/joe/.ssh /root/.ssh
        { echo ssh-ed25519 AAAAother other; cat /run/host/key.pub; } > /home/joe/.ssh/authorized_keys
        cp /run/host/key.pub /root/.ssh/authorized_keys
        mkdir -p /var/lib/cloud/instance; echo x > /etc/sudoers.d/90-cloud-init-users
        echo hello > /var/log/hello.log; echo secret > /root/.bash_history
        printf '#!/bin/sh\\necho "$@" > /run/asked\\n' > /usr/local/sbin/systemctl
        chmod +x /usr/local/sbin/systemctl`,
    })
    publicKey = (await runTool(['ssh-keygen', '-y', '-f', sshd.identityFile])).toString().trim()
  })
  after(async () => await sshd[Symbol.asyncDispose]())

  const start = async (
    order: Partial<CustomiseOrder> = {},
    build: Partial<TestBuild<object>> = {},
  ) => {
    const workDir = at(String(++directories))
    await mkdir(workDir)
    const { job, written } = buildJob({
      options: {},
      workDir,
      template: templateOf(RECIPE),
      ...build,
    })
    const login = { host: '127.0.0.1', port: sshd.port, user: 'joe', become: true }
    const running = customiseOverSsh(job, {
      ...login,
      privateKeyFile: sshd.identityFile,
      publicKey,
      from: 50,
      to: 100,
      clean: false,
      ...order,
    })
    return { running, written, workDir }
  }
  const readHostKeys = async () => {
    const [, type, key] = (await readFile(sshd.knownHostsFile, 'utf8')).trim().split(' ')
    return [`${type} ${key}`]
  }
  const look = async (script: string) => (await sshd.inside(script)).trim()

  it('is refused when it shows another key than its console tells', async () => {
    const { running, written } = await start({
      readHostKeys: async () => ['ssh-ed25519 AAAAother'],
    })
    await assert.rejects(running, failsWith('REMOTE_UNTRUSTED'))
    assert.ok(!written.phases.includes('carrying out the template'))
  })

  it('is refused when it shows another key than at the first login', async () => {
    const pinsFile = at('pins')
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3vNWbSbTzhDkRtpIv8xFIQwfy8bGXQ5sfBHmdDSWJi'
    await writeFile(pinsFile, `[127.0.0.1]:${sshd.port} ${key}\n`)
    const { running } = await start({ pinsFile })
    await assert.rejects(running, failsWith('REMOTE_UNTRUSTED'))
  })

  it('is waited for no longer than its phase lasts', async () => {
    const { running, written } = await start({ port: 1, loginTimeoutMs: 5000 })
    await assert.rejects(running, failsWith('PHASE_TIMEOUT'))
    assert.match(written.events.join('\n'), /Connection refused/)
  })

  it('fails with the step that failed, and its report is kept', async () => {
    const template = templateOf('validators: [{ script: { run: { inline: "echo why; exit 3" } } }]')
    const { running, written } = await start({}, { template })
    await assert.rejects(running, failsWith('STEP_FAILED'))
    assert.match(written.documents.get('report') ?? '', /"failed"/)
    assert.match(written.output, /why/)
  })

  it('ends with the job', async () => {
    const cancel = new AbortController()
    const template = templateOf(
      'validators: [{ script: { run: { inline: "echo begun; sleep 5000017" } } }]',
    )
    const { running, written } = await start({}, { template, signal: cancel.signal })
    const watch = setInterval(() => written.output.includes('begun') && cancel.abort(), 20)
    await assert.rejects(running)
    clearInterval(watch)
    assert.equal(await sshd.inside('pgrep -f [5]000017 || :'), '')
  })

  it('has the template carried out, tells its packages, and is clean, without our key', async () => {
    const template = templateOf(RECIPE, {
      icicleCommand: 'echo one; echo two',
      recipe: { clean: { enabled: true, keep: KEEP, also: [] } },
    })
    const { running, written } = await start(
      { clean: true, powerOff: true, readHostKeys },
      { template },
    )
    const { report, facts, packages, extraLines } = await running
    assert.equal(report.ok, true)
    assert.notEqual(facts.distro, '')
    assert.ok((packages?.length ?? 0) > 100)
    assert.deepEqual(extraLines, ['one', 'two'])
    assert.ok(written.percents.every((percent) => percent >= 50 && percent <= 100))
    assert.deepEqual(written.phases.slice(-3), [
      'carrying out the template',
      'reading what is installed',
      'cleaning the guest',
    ])
    assert.equal(await look('cat /etc/made'), 'made by a recipe')
    assert.equal(await look('cat /run/asked'), '--no-block poweroff')
    assert.equal(await look('cat /home/joe/.ssh/authorized_keys'), 'ssh-ed25519 AAAAother other')
    const gone = '/root/.ssh/authorized_keys /root/.bash_history /etc/sudoers.d/90-cloud-init-users'
    assert.equal(await look(`ls -d ${gone} /var/lib/cloud/instance 2>/dev/null || :`), '')
    assert.equal(await look('cat /etc/machine-id /var/log/hello.log'), '')
  })
})
