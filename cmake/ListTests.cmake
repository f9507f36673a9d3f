# SPDX-License-Identifier: BSD-2-Clause
# Turns `PROGRAM --list` of a Criterion program into one add_test() for each of its tests, in the file LIST, run by RUNNER.
execute_process(COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C "${PROGRAM}" --list
    OUTPUT_VARIABLE text RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} --list failed: ${result}")
endif()

string(REPLACE "\n" ";" lines "${text}")
set(suite "")
set(script "")
foreach(line IN LISTS lines)
    if(line MATCHES "^([A-Za-z0-9_]+): [0-9]+ tests?$")
        set(suite "${CMAKE_MATCH_1}")
    elseif(line MATCHES "^[^A-Za-z0-9_]+([A-Za-z0-9_]+)$")
        set(test "${CMAKE_MATCH_1}")
        set(name "${AREA}.${suite}.${test}")
        string(APPEND script "add_test(\"${name}\" \"${RUNNER}\" \"${PROGRAM}\" \"${suite}/${test}\")\n"
            "set_tests_properties(\"${name}\" PROPERTIES LABELS \"${AREA}\" TIMEOUT 120 "
            "SKIP_REGULAR_EXPRESSION \"\\\\[SKIP\\\\] ${suite}::${test}: \")\n")
    endif()
endforeach()
if(script STREQUAL "")
    message(FATAL_ERROR "${PROGRAM} lists no tests")
endif()
file(WRITE "${LIST}" "${script}")
