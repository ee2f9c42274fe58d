import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runTool } from '../base/process.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { startAgent } from './_appliance-agent.ts'

const inTemp = await tempDir()
const root = process.getuid?.() === 0 ? false : 'needs root, for a namespace in which it kills all'

/** What the agent makes of a command, in a namespace of its own; `before`: what stands in the way of its reports. */
async function carriedOut(command: string, before = ''): Promise<string | undefined> {
  const [loop] = /^carry_out\(\) \{[^]*?^\} 2>\/dev\/null$/m.exec(startAgent(false)) ?? []
  assert.ok(loop)
  const text = `
    rm -f "$1"; mkfifo "$1"; exec 8<>"$1" 9>&1
    id=f00 chroot= script=$2
    ${loop}
    printf "$3" >&8
    carry_out 0
    echo done $id $code`
  const argv = ['unshare', '--pid', '--fork', '--kill-child', 'bash', '-c', text, 'agent']
  const said = await runTool([...argv, inTemp('ended'), command, before], { timeoutMs: 60_000 })
  return said.toString().trim().split('\n').at(-1)
}

it('takes no report of the command before for that of this one', { skip: root }, async () => {
  for (const before of ['', '\\n', '0\\n', 'ba5 0\\n'])
    assert.equal(await carriedOut('sleep 0.1; exit 3', before), 'done f00 3', before)
})

it('takes a report whole that comes in pieces', { skip: root }, async () => {
  const slowly = 'printf "$id" >&8; sleep 3; echo " 7" >&8; exec sleep 600'
  assert.equal(await carriedOut(slowly), 'done f00 7')
})

it('finds out when a command has killed everything', { skip: root }, async () => {
  assert.equal(await carriedOut('kill -KILL -1'), 'done f00 137')
})
