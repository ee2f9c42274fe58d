#!/bin/bash
helped() { echo "$1" > /var/lib/helped; }
