# The last steps of "cmake --install": configuration (beside the one that is there, as *.dist), the
# systemd unit, manual pages, and the set-gid bit of the two commands that need it. Given: SOURCE,
# MAN (a directory to make files in).
set(root "$ENV{DESTDIR}")

foreach(file main.cf master.cf)
    if(EXISTS ${root}/etc/postfix/${file})
        file(INSTALL ${SOURCE}/conf/${file} DESTINATION /etc/postfix RENAME ${file}.dist)
    else()
        file(INSTALL ${SOURCE}/conf/${file} DESTINATION /etc/postfix)
    endif()
endforeach()
if(NOT EXISTS ${root}/etc/aliases)
    file(INSTALL ${SOURCE}/conf/aliases DESTINATION /etc)
endif()

file(READ ${SOURCE}/conf/pombal.service unit)
string(REPLACE "/usr/sbin/" "${CMAKE_INSTALL_PREFIX}/sbin/" unit "${unit}")
file(CONFIGURE OUTPUT ${MAN}/pombal.service CONTENT "${unit}" @ONLY)
file(INSTALL ${MAN}/pombal.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)

find_program(PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(PYTHON3)
    execute_process(COMMAND ${PYTHON3} ${SOURCE}/tools/mkman.py ${MAN} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    foreach(section 1 5 8)
        file(GLOB pages ${MAN}/*.${section})
        file(INSTALL ${pages} DESTINATION ${CMAKE_INSTALL_PREFIX}/share/man/man${section})
    endforeach()
else()
    message(STATUS "No python3: no manual pages")
endif()

# Never set-gid with another group than that of the maildrop: first the group, then the bit.
foreach(program postdrop postqueue)
    execute_process(COMMAND sh -c "chgrp postdrop \"$0\" && chmod 2755 \"$0\"" ${root}${CMAKE_INSTALL_PREFIX}/sbin/${program}
                    RESULT_VARIABLE failed ERROR_QUIET)
    if(failed)
        message(STATUS "To do as root: chgrp postdrop ${CMAKE_INSTALL_PREFIX}/sbin/${program} && chmod 2755 ${CMAKE_INSTALL_PREFIX}/sbin/${program}")
    endif()
endforeach()
