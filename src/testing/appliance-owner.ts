/** A process that opens an appliance and stays, for a test of what is left when it is killed. */
import { makeContext } from '../base/context.ts'
import { openAppliance } from '../remotes/appliance.ts'

const [path = '', tempDir = '', cacheDir = ''] = process.argv.slice(2)
await openAppliance({ path, tempDir, cacheDir, access: 'change' }, makeContext())
process.send?.('open')
