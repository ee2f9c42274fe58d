const NO_ROOM =
  /quota|exceeded.{0,30}limit|limit.{0,30}exceeded|no valid host|not enough hosts|OverLimit|No more (free )?(floating|IP)|IpAddressGenerationFailure|InsufficientStorage/i

/** Whether what a service or a failed server says means that there is no room: a quota, or no host. */
export function isNoRoom(said: string): boolean {
  return NO_ROOM.test(said)
}
