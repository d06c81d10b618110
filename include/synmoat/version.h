/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYNMOAT_VERSION_H
#define SYNMOAT_VERSION_H

#define SYNMOAT_VERSION "0.1.0"

#endif
