/** What is put together in the spool before it can be stored: found and removed after a process that died. */
import { join } from 'node:path'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'

const NAME = 'ingest'

/** The path of a new file of this process in the spool. */
export function spoolPath(directory: string, newId: () => string): string {
  return workingPath(join(directory, NAME), newId())
}

/** Removes the files of processes that are no more. */
export async function clearSpool(directory: string): Promise<void> {
  await removeLeftovers(join(directory, NAME))
}
